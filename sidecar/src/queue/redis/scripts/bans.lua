#!lua flags=allow-oom
-- The bans that sidecars share. Each change counts a version, so that nobody reads what it knows.
-- KEYS: ends, failures, version. ARGV: now, then 'ban', client, end, failures, most bans; or 'lift', client; or 'read', version.
local ends, failures, version = KEYS[1], KEYS[2], KEYS[3]
local now, what = ARGV[1], ARGV[2]

local function forget(clients)
  for _, client in ipairs(clients) do
    redis.call('ZREM', ends, client)
    redis.call('HDEL', failures, client)
  end
end

if what == 'ban' then
  forget(redis.call('ZRANGEBYSCORE', ends, '-inf', now))
  redis.call('ZADD', ends, ARGV[4], ARGV[3])
  redis.call('HSET', failures, ARGV[3], ARGV[5])
  -- the one that ends first gives way
  forget(redis.call('ZRANGE', ends, 0, -1 - tonumber(ARGV[6])))
  redis.call('INCR', version)
elseif what == 'lift' then
  forget({ARGV[3]})
  redis.call('INCR', version)
end

local current = redis.call('GET', version) or '0'
if what ~= 'read' or current == ARGV[3] then
  return {current, {}}
end
local bans = redis.call('ZRANGE', ends, '(' .. now, '+inf', 'BYSCORE', 'WITHSCORES')
local found = {}
for i = 1, #bans, 2 do
  table.insert(found, {bans[i], bans[i + 1], redis.call('HGET', failures, bans[i]) or '0'})
end
return {current, found}
