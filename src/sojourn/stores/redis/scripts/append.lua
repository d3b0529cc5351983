-- KEYS: head, feed. ARGV: above which id, how many events, then each with whether it is permanent, then
-- audit records.
local count = tonumber(ARGV[7])
if count > 0 then
  last = math.max(last, tonumber(ARGV[6]))
end
for i = 8, 6 + 2 * count, 2 do
  append(ARGV[i], 0, tonumber(ARGV[i + 1]))
end
note_from(8 + 2 * count)
return finish()
