-- Stores an update unless its bytes are known. Written first is what memory is needed for: that fails as a whole when there is none.
-- KEYS: known, each stream. ARGV: digest, now, known until, most known, most updates, position of the stream, fields.
local known, digest, now = KEYS[1], ARGV[1], ARGV[2]
local seen = redis.call('ZSCORE', known, digest)
if seen and tonumber(seen) > tonumber(ARGV[3]) then
  return 'known'
end
local updates = 0
for i = 2, #KEYS do
  updates = updates + redis.call('XLEN', KEYS[i])
end
if updates >= tonumber(ARGV[5]) then
  return 'full'
end
local id = redis.call('XADD', KEYS[1 + tonumber(ARGV[6])], '*', unpack(ARGV, 7))
redis.call('ZADD', known, now, digest)
redis.call('ZREMRANGEBYSCORE', known, '-inf', ARGV[3])
redis.call('ZREMRANGEBYRANK', known, 0, -1 - tonumber(ARGV[4]))
return id
