#!lua flags=no-writes
-- What waits. KEYS: known, given out, dead letters, streams.
-- Returns updates, bytes of memory, when the oldest was received (or -1), dead letters.
local updates, bytes, oldest = 0, 0, -1
for i, key in ipairs(KEYS) do
  bytes = bytes + (redis.call('MEMORY', 'USAGE', key) or 0)
  local first = i > 3 and redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
  if first then
    updates = updates + redis.call('XLEN', key)
    for j = 1, #first[2], 2 do
      local received = first[2][j] == 'received_at' and tonumber(first[2][j + 1])
      if received and (oldest < 0 or received < oldest) then
        oldest = received
      end
    end
  end
end
return {updates, bytes, oldest, redis.call('XLEN', KEYS[3])}
