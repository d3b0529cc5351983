-- KEYS: head, document. ARGV: expected version, payload. Answers 1 where it was put.
local stored = redis.call('GETRANGE', KEYS[2], 0, 3)
local version = #stored == 4 and struct.unpack('>I4', stored) or 0
if version ~= tonumber(ARGV[6]) then
  return finish(0)
end
redis.call('SET', KEYS[2], struct.pack('>I4', version + 1) .. ARGV[7])
return finish(1)
