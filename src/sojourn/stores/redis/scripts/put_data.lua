-- KEYS: head, session, data. ARGV: expected version, payload. Answers 1 where it was put.
local expected = tonumber(ARGV[6])
local record, stored = redis.call('GET', KEYS[2]), redis.call('GETRANGE', KEYS[3], 0, 3)
if not is_session(record) then
  return finish(0)
end
local _, dies = read_session(record)
local version = #stored == 4 and struct.unpack('>I4', stored) or 0
if now >= dies or version ~= expected then
  return finish(0)
end
redis.call('SET', KEYS[3], struct.pack('>I4', version + 1) .. ARGV[7], 'PX', life(dies))
return finish(1)
