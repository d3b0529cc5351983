-- Follows the prelude of scripts that end a subject's sessions, a bounded number at a time.

-- Chooses what has to go among the next of the index: KEYS[2]. With a cutoff, what was signed in
-- since stays.
local function choose(keep, offset, cutoff)
  local members = redis.call('ZRANGE', KEYS[2], digits(offset), digits(offset + CHUNK - 1))
  local doomed, skipped = {}, 0
  for _, member in ipairs(members) do
    local sid = string.sub(member, 7)
    local record = find(sid)
    local is_new = cutoff and is_session(record) and select(3, read_session(record)) >= cutoff
    if sid == keep or is_new then
      skipped = skipped + 1
    else
      doomed[#doomed + 1] = {sid = sid, member = member, record = record}
    end
  end
  return doomed, skipped, #members < CHUNK and 1 or 0
end

-- Ends them; gives the sids that were alive.
local function bury_all(doomed, reason)
  local ended = {}
  for _, one in ipairs(doomed) do
    if is_session(one.record) then
      if bury(one.sid, one.record, reason) then
        ended[#ended + 1] = one.sid
      end
    else
      redis.call('ZREM', KEYS[2], one.member)
    end
  end
  return ended
end
