-- KEYS: head, session, data, index, cutoff. ARGV: sid, expected revision, record, end of life, index
-- member, event (empty: none), audit records. Answers 1 where it was replaced.
local sid, expected, record, dies = ARGV[6], tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9])
local old = redis.call('GET', KEYS[2])
if not is_session(old) then
  return finish(0)
end
local revision, died, position, subject = read_session(old)
if revision ~= expected then
  return finish(0)
end
local cutoff = redis.call('GET', KEYS[5])
if cutoff then
  -- While a revoke-all goes on in chunks, what it has not reached yet is over, too.
  local _, value, at = struct.unpack('>I7I7', cutoff)
  if position < value and string.sub(cutoff, at) ~= sid then
    return finish(0)
  end
end
redis.call('SET', KEYS[2], record, 'PX', life(dies))
if dies ~= died then
  redis.call('PEXPIRE', KEYS[3], life(dies))
  index(subject, ARGV[10], dies)
end
if ARGV[11] ~= '' then
  append(ARGV[11], 0, 0)
end
note_from(12)
return finish(1)
