-- Sets an update aside unless its bytes are known.
-- KEYS: known, dead letters. ARGV: digest, now, known until, most known, most dead letters, fields.
local known, digest, now = KEYS[1], ARGV[1], ARGV[2]
local seen = redis.call('ZSCORE', known, digest)
if seen and tonumber(seen) > tonumber(ARGV[3]) then
  return 'known'
end
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[5]) then
  return 'full'
end
local id = redis.call('XADD', KEYS[2], '*', unpack(ARGV, 6))
redis.call('ZADD', known, now, digest)
redis.call('ZREMRANGEBYSCORE', known, '-inf', ARGV[3])
redis.call('ZREMRANGEBYRANK', known, 0, -1 - tonumber(ARGV[4]))
return id
