-- One request in an exact sliding window, in one step (C-39).
-- KEYS[1]  the window: a sorted set of accepted requests, scored by their time in microseconds
-- ARGV[1]  limit   ARGV[2]  length of the window in microseconds   ARGV[3]  this request's name
-- Result: {accepted (1 or 0), requests in the window, microseconds until the oldest leaves it}
-- Promise: no window holds more than `limit` accepted requests, by this server's own clock, and
-- the key always has an expiry.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - window))
local count = redis.call('ZCARD', KEYS[1])
local accepted = 0
if count < limit then
  redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[3])
  count = count + 1
  accepted = 1
end
redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
local reset = window
if oldest then
  reset = tonumber(oldest) + window - now
end
return {accepted, count, string.format('%.0f', reset)}
