-- Takes back calls that did not happen.
--
-- KEYS: the hash of each limit. ARGV, for each: the number of the slot, how many calls.
for index, key in ipairs(KEYS) do
  local slot, count = ARGV[index * 2 - 1], tonumber(ARGV[index * 2])
  local calls = tonumber(redis.call('HGET', key, slot))
  if calls and calls > count then
    redis.call('HINCRBY', key, slot, string.format('%.0f', -count))
  elseif calls then
    redis.call('HDEL', key, slot)
  end
end
