-- The health of an ExtendedJob, by the conditions that its operator sets. (Argo CD opens neither `string` nor `math` to
-- scripts of its ConfigMap.)
local status = obj.status or {}

local function condition_of(kind)
  for _, condition in ipairs(status.conditions or {}) do
    if condition.type == kind then
      return condition
    end
  end
  return {}
end

local function health(code, condition)
  local message = condition.reason or ""
  if condition.message ~= nil and condition.message ~= "" then
    message = message .. ": " .. condition.message
  end
  return { status = code, message = message }
end

local ready = condition_of("Ready")
local reconciling = condition_of("Reconciling")
local stalled = condition_of("Stalled")

-- The conditions may be those of the spec before.
if status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "the operator has not seen this spec yet" }
end
if stalled.status == "True" then
  return health("Degraded", stalled)
end
if ready.status == "False" and ready.reason == "Suspended" then
  return health("Suspended", ready)
end
-- Something is tried again, and Ready says what; or nothing stands in the way, and the spec is still being taken up.
if reconciling.status == "True" then
  if ready.status == "False" then
    return health("Progressing", ready)
  end
  return health("Progressing", reconciling)
end
if ready.status ~= "True" then
  return health("Degraded", ready)
end
-- What comes after a one-off wants it done, as after a Job.
if status.mode == "once" and condition_of("Complete").status ~= "True" then
  return health("Progressing", ready)
end
local healthy = health("Healthy", ready)
-- Of an errand Ready says so itself.
if status.mode ~= "errand" and condition_of("Failed").status == "True" then
  healthy.message = healthy.message .. "; the last run has failed"
end
return healthy
