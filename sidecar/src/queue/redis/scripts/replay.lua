#!lua flags=allow-oom
-- Puts a dead letter at the end of its stream again, without the fields that were added when it was set aside.
-- KEYS: dead letters, stream. ARGV: id, fields to leave out.
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not entry then
  return 0
end
local left_out = {}
for i = 2, #ARGV do
  left_out[ARGV[i]] = true
end
local fields = {}
for i = 1, #entry[2], 2 do
  if not left_out[entry[2][i]] then
    table.insert(fields, entry[2][i])
    table.insert(fields, entry[2][i + 1])
  end
end
redis.call('XADD', KEYS[2], '*', unpack(fields))
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
