-- Counts one call at all of its limits, or at none of them.
--
-- KEYS: a hash for each limit, from the number of a slot to the calls in it. ARGV, for each limit: how many calls a
-- window holds, the window's and a slot's length in milliseconds, how many calls this is.
--
-- A call belongs to the slot that ends with or after it, and counts until one window after that slot's end.
--
-- Answers 1 if the call was counted, else 0; and for each limit how many calls counted before this one, the
-- milliseconds until there is room for it (or, if it was counted or has room, for more than now), and its slot.
local time = redis.call('TIME')
local micros = tonumber(time[1]) * 1000000 + tonumber(time[2])
local floor, ceil = math.floor(micros / 1000), math.ceil(micros / 1000)

local function earlier(one, other)
  return one[1] < other[1]
end

-- A part of a millisecond more than the window is the window.
local function whole(wait, window, length)
  if length == 1 then
    return math.min(wait, window)
  end
  return wait
end

local answer, passed, fits = { 1 }, {}, true
for index, key in ipairs(KEYS) do
  local limit, window = tonumber(ARGV[index * 4 - 3]), tonumber(ARGV[index * 4 - 2])
  local length, count = tonumber(ARGV[index * 4 - 1]), tonumber(ARGV[index * 4])
  local steps, used = {}, 0
  passed[index] = {}
  local found = redis.call('HGETALL', key)
  for at = 1, #found, 2 do
    local slot, calls = tonumber(found[at]), tonumber(found[at + 1])
    if not slot or not calls or not (calls >= 1) then
      return redis.error_reply('LIMIT this is no window')
    end
    local free = slot * length + window
    if free <= floor then
      table.insert(passed[index], found[at])
    else
      used = used + calls
      table.insert(steps, { free, calls })
    end
  end
  local slot = math.ceil(ceil / length)
  local wait = 0
  if count > limit then
    wait, fits = window, false
  else
    local missing = used + count - limit
    if missing > 0 then
      fits = false
    else
      missing = 1
    end
    table.sort(steps, earlier)
    for _, step in ipairs(steps) do
      missing = missing - step[2]
      if missing <= 0 then
        wait = step[1] - floor
        break
      end
    end
  end
  table.insert(answer, used)
  table.insert(answer, whole(wait, window, length))
  table.insert(answer, slot)
end
if not fits then
  answer[1] = 0
  return answer
end

for index, key in ipairs(KEYS) do
  local window, length = tonumber(ARGV[index * 4 - 2]), tonumber(ARGV[index * 4 - 1])
  local slot = answer[index * 3 + 1]
  if #passed[index] > 0 then
    redis.call('HDEL', key, unpack(passed[index]))
  end
  redis.call('HINCRBY', key, string.format('%.0f', slot), ARGV[index * 4])
  redis.call('PEXPIRE', key, window + length)
  if answer[index * 3 - 1] == 0 then
    answer[index * 3] = whole(slot * length + window - floor, window, length)
  end
end
return answer
