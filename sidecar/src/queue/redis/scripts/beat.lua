#!lua flags=allow-oom
-- Says that a consumer lives, or that it leaves, and shares the streams out anew: each consumer may hold its share, rounded up for the
-- first ones so that the shares add up. What a dead consumer held is free. Whoever holds too much gives back by and by.
-- KEYS: consumers, leases, fence. ARGV: consumer, milliseconds to live, number of streams, 1 to leave, streams given back.
-- Returns its share, and what it holds: stream, token, ...
local consumers, leases, fence = KEYS[1], KEYS[2], KEYS[3]
local me, life, streams, leaves = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

redis.call('ZREMRANGEBYSCORE', consumers, '-inf', now)
if leaves then
  redis.call('ZREM', consumers, me)
else
  redis.call('ZADD', consumers, now + life, me)
end

local living = redis.call('ZRANGE', consumers, 0, -1)
table.sort(living)
local lives, share = {}, 0
for rank, name in ipairs(living) do
  lives[name] = true
  if name == me then
    share = math.floor(streams / #living)
    if rank <= streams % #living then
      share = share + 1
    end
  end
end

local given_back = {}
for i = 5, #ARGV do
  given_back[ARGV[i]] = true
end
local tokens = {}
local all = redis.call('HGETALL', leases)
for i = 1, #all, 2 do
  tokens[all[i]] = all[i + 1]
end

local held, free = {}, {}
for stream = 0, streams - 1 do
  local name = tostring(stream)
  local token = tokens[name]
  local owner = token and string.match(token, ':(.*)$')
  if owner == me and not leaves and not given_back[name] then
    table.insert(held, name)
    table.insert(held, token)
  elseif owner == me then
    redis.call('HDEL', leases, name)
  elseif not owner or not lives[owner] then
    table.insert(free, name)
  end
end
for _, name in ipairs(free) do
  if #held / 2 < share then
    local token = redis.call('INCR', fence) .. ':' .. me
    redis.call('HSET', leases, name, token)
    table.insert(held, name)
    table.insert(held, token)
  end
end
return {tostring(share), held}
