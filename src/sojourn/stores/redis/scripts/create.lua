-- KEYS: head, session, index, cutoff. ARGV: sid, record, end of life, position, index member,
-- limit (empty: none), refuse or end_oldest, the event around a sid (2), the audit record around
-- a sid (2; empty: none), audit records.
local sid, record, dies, position, member = ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]
local limit, on_excess = tonumber(ARGV[11]), ARGV[12]
local subject = string.sub(KEYS[3], #base + 3)
local cutoff = redis.call('GET', KEYS[4])
if cutoff and position < select(2, struct.unpack('>I7I7', cutoff)) then
  return finish('superseded', {})
end

local function by_creation(one, other)
  local first, second = struct.unpack('>I6', one), struct.unpack('>I6', other)
  if first ~= second then
    return first < second
  end
  for i = 7, #one do  -- not "<", which follows the server's locale
    if string.byte(one, i) ~= string.byte(other, i) then
      return string.byte(one, i) < string.byte(other, i)
    end
  end
  return false
end

local ending = {}
if limit then
  local excess = redis.call('ZCOUNT', KEYS[3], '(' .. digits(now), '+inf') - limit + 1
  if excess > 0 and on_excess == 'refuse' then
    return finish('limit', {})
  end
  if excess > 0 then
    -- Guests may be many: those go that are nearest to their end. Of others the oldest go.
    local most = subject == '' and excess or -1
    local members = redis.call('ZRANGE', KEYS[3], '(' .. digits(now), '+inf', 'BYSCORE', 'LIMIT', 0, most)
    if subject ~= '' then
      table.sort(members, by_creation)
    end
    for i = 1, excess do
      local other = string.sub(members[i], 7)
      ending[i] = {sid = other, member = members[i], record = find(other)}
    end
  end
end
local dead = redis.call('ZRANGE', KEYS[3], '-inf', digits(now - LINGER_MS), 'BYSCORE', 'LIMIT', 0, SWEEP)

local ended = {}
for i, one in ipairs(ending) do
  ended[i] = one.sid
  if is_session(one.record) then
    bury(one.sid, one.record, 'session_limit')
  else
    redis.call('ZREM', KEYS[3], one.member)
  end
  if subject ~= '' then  -- nobody keeps copies of a guest
    append(ARGV[13] .. one.sid .. ARGV[14], 0, 0)
    if ARGV[15] ~= '' then
      note(ARGV[15] .. one.sid .. ARGV[16])
    end
  end
end
if #dead > 0 then
  redis.call('ZREM', KEYS[3], unpack(dead))
end
redis.call('SET', KEYS[2], record, 'PX', life(dies))
index(subject, member, dies)
note_from(17)
return finish('created', ended)
