#!lua flags=allow-oom
-- Notes that an update is given out, if the stream is held with that token: else the answer is 'lost', or 'gone' without the update.
-- KEYS: leases, given out, stream. ARGV: stream, token, id.
-- Returns what became of it, how often it was given out before, fields.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return {'lost', 0, {}}
end
local field = ARGV[1] .. '/' .. ARGV[3]
local entry = redis.call('XRANGE', KEYS[3], ARGV[3], ARGV[3])[1]
if not entry then
  redis.call('HDEL', KEYS[2], field)
  return {'gone', 0, {}}
end
return {'taken', redis.call('HINCRBY', KEYS[2], field, 1) - 1, entry[2]}
