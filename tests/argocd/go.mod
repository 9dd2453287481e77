// What Argo CD runs the scripts of deploy/argocd with: its Lua interpreter, and its way from Lua to JSON and back.
module argocd-lua

go 1.26

require (
	github.com/yuin/gopher-lua v1.1.2
	layeh.com/gopher-json v0.0.0-20190114024228-97fed8db8427
)
