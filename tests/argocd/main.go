// Runs a Lua script as Argo CD does: with the object as the global `obj`, with no more libraries than it opens, and for
// at most a second. What the script returns is printed as JSON.
//
//	argocd-lua SCRIPT < OBJECT.json
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"
	luajson "layeh.com/gopher-json"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: %s SCRIPT < OBJECT.json", os.Args[0])
	}
	object, err := io.ReadAll(os.Stdin)
	if err != nil {
		return fmt.Errorf("read the object: %w", err)
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	if err := open(state); err != nil {
		return fmt.Errorf("open the libraries: %w", err)
	}
	value, err := luajson.Decode(state, object)
	if err != nil {
		return fmt.Errorf("decode the object: %w", err)
	}
	state.SetGlobal("obj", value)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(ctx)
	if err := state.DoFile(os.Args[1]); err != nil {
		return err
	}
	result := state.Get(-1)
	if result.Type() != lua.LTTable {
		return fmt.Errorf("the script returned a %s, not a table", result.Type())
	}
	text, err := luajson.Encode(result)
	if err != nil {
		return fmt.Errorf("encode what the script returned: %w", err)
	}
	_, err = fmt.Println(string(text))
	return err
}

// What Argo CD opens to scripts of its ConfigMap, unless useOpenLibs is set: the basic functions, `package`, `table`, and of
// `os` the functions time and date, for who asks by require("os").
func open(state *lua.LState) error {
	libraries := []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage},
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
		{lua.OsLibName, lua.OpenOs},
	}
	for _, library := range libraries {
		function := lua.P{Fn: state.NewFunction(library.open), NRet: 0, Protect: true}
		if err := state.CallByParam(function, lua.LString(library.name)); err != nil {
			return err
		}
	}
	whole, safe := state.GetGlobal(lua.OsLibName), state.NewTable()
	for _, name := range []string{"time", "date"} {
		safe.RawSetString(name, state.GetField(whole, name))
	}
	state.SetGlobal(lua.OsLibName, lua.LNil)
	loaded := state.GetField(state.GetGlobal(lua.LoadLibName), "loaded")
	state.SetField(loaded, lua.OsLibName, lua.LNil)
	state.PreloadModule(lua.OsLibName, func(state *lua.LState) int {
		state.Push(safe)
		return 1
	})
	return nil
}
