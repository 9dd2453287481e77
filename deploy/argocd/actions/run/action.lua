-- Asks for a run: each new value of the annotation starts one. The spec, which is git's, is left alone.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["fissile.cloudfoundry.org/run-requested-at"] = os.date("!%Y-%m-%dT%XZ")
return obj
