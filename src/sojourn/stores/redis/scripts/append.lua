-- KEYS: head. ARGV: how many events, then each with whether it is permanent, then audit records.
local count = tonumber(ARGV[6])
for i = 7, 5 + 2 * count, 2 do
  append(ARGV[i], 0, tonumber(ARGV[i + 1]))
end
note_from(7 + 2 * count)
return finish()
