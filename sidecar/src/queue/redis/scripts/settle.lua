#!lua flags=allow-oom
-- Ends the life of an update, if the stream is held with that token. With dead letters given it is set aside.
-- KEYS: leases, given out, stream, perhaps dead letters. ARGV: stream, token, id, fields to add to a dead letter.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 'lost'
end
if KEYS[4] then
  local entry = redis.call('XRANGE', KEYS[3], ARGV[3], ARGV[3])[1]
  if entry then
    local fields = entry[2]
    for i = 4, #ARGV do
      table.insert(fields, ARGV[i])
    end
    redis.call('XADD', KEYS[4], '*', unpack(fields))
  end
end
redis.call('XDEL', KEYS[3], ARGV[3])
redis.call('HDEL', KEYS[2], ARGV[1] .. '/' .. ARGV[3])
return 'settled'
