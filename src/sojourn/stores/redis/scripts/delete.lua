-- KEYS: head, session, data. ARGV: sid, owner, whether anybody's, reason, the event for everyone, the
-- event for the owner, audit records. Answers 1 where a live session ended.
local sid, owner, is_any, reason = ARGV[6], ARGV[7], ARGV[8] == '1', ARGV[9]
local record = find(sid)
local is_theirs, was_alive = false, 0
if is_session(record) then
  local _, _, _, subject = read_session(record)
  is_theirs = is_any or subject == owner
  redis.call('EXISTS', base .. 'u:' .. subject)
end
if is_theirs and bury(sid, record, reason) then
  was_alive = 1
end
append(ARGV[(is_theirs or is_any) and 10 or 11], 0, 0)
note_from(12)
return finish(was_alive)
