#!lua flags=no-writes
-- What stands in streams behind a place, without the bodies.
-- KEYS: streams. ARGV: most entries of each, the place in each.
-- Returns for each stream its length, and id, lane, ...
local found = {}
for i, stream in ipairs(KEYS) do
  local entries = {}
  for _, entry in ipairs(redis.call('XRANGE', stream, '(' .. ARGV[1 + i], '+', 'COUNT', ARGV[1])) do
    local fields, lane = entry[2], ''
    for j = 1, #fields, 2 do
      if fields[j] == 'lane' then
        lane = fields[j + 1]
      end
    end
    table.insert(entries, entry[1])
    table.insert(entries, lane)
  end
  table.insert(found, {redis.call('XLEN', stream), entries})
end
return found
