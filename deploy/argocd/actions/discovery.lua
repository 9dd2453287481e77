-- Runs of a triggered job are started by pods alone.
local actions = {}
actions["run"] = {
  ["disabled"] = obj.spec.triggers ~= nil or obj.metadata.deletionTimestamp ~= nil
}
return actions
