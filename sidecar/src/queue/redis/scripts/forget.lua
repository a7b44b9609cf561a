#!lua flags=allow-oom
-- Forgets the dead letters among some that were set aside before a time.
-- KEYS: dead letters. ARGV: time, place to begin behind, most to look at.
-- Returns the place where it ended, none at the end, and how many it forgot.
local place, forgotten = '', 0
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. ARGV[2], '+', 'COUNT', ARGV[3])) do
  place = entry[1]
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'set_aside_at' and tonumber(entry[2][i + 1]) < tonumber(ARGV[1]) then
      forgotten = forgotten + redis.call('XDEL', KEYS[1], place)
    end
  end
end
return {place, forgotten}
