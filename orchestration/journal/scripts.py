"""The journal's writes: each one a Lua call, so each happens as a whole or not at all.

Every script checks first that the writer still holds the job (its fencing token is the newest) and that the journal
stands where the writer believes.  A script that fails half-way is *not* rolled back, so each looks at every number and at
the type of every key before it writes anything.  Answers: `ok`, or the reason with what was found.  All keys of a job share
the hash tag `{job}`, so a job lives in one slot of a Redis Cluster.  Plain commands only: Redis >= 6.2, Valkey, managed offerings.
"""

from surefoot.orchestration.redis.script import Script

LARGEST = 10**15 - 1
"""The largest number that a script takes or counts to: Lua, JSON and HINCRBY all hold it exactly, sums included."""

_LOOK = """
local function whole(raw) -- a number from 0 to LARGEST, or nil
    return raw and #raw <= 15 and string.find(raw, '^%d+$') and tonumber(raw) or nil
end
local function mistyped(key, kind) -- the answer for a key that is neither of this kind nor absent, or nil
    local found = redis.call('TYPE', key).ok
    return found ~= 'none' and found ~= kind and {'type', key, found} or nil
end
"""

_GUARD = (
    _LOOK
    + """
local bad = mistyped(KEYS[1], 'hash') or mistyped(KEYS[2], 'string')
if bad then return bad end
local found = redis.call('HMGET', KEYS[1], 'fence', 'next', 'head', 'status')
if not found[1] then return {'missing'} end
if found[1] ~= ARGV[1] then return {'fenced', found[1], redis.call('GET', KEYS[2]) or ''} end
if found[4] == 'cancelled' then return {'cancelled'} end
"""
)

_STANDS = """
if found[2] ~= ARGV[2] or found[3] ~= ARGV[3] then return {'moved', found[2], found[3]} end
"""

_HELD = """
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] and holder ~= ARGV[3] then
    return {'held', holder, tostring(redis.call('PTTL', KEYS[2]))}
end
"""

CREATE = Script("""
-- KEYS meta; ARGV the moment of creation, (field, value)*
local made = redis.call('HGET', KEYS[1], 'created')
if made == ARGV[1] then return {'ok'} end -- done before; only the reply was lost
if redis.call('EXISTS', KEYS[1]) == 1 then return {'taken'} end
redis.call('HSET', KEYS[1], 'created', ARGV[1])
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return {'ok'}
""")

ACQUIRE = Script(
    "-- KEYS meta, lease; ARGV holder, ttl_ms, holder to take over from ('' for none), nonce, 'again' to take what was cancelled\n"
    + _LOOK
    + """
local bad = mistyped(KEYS[1], 'hash') or mistyped(KEYS[2], 'string')
if bad then return bad end
if redis.call('EXISTS', KEYS[1]) == 0 then return {'missing'} end
"""
    + _HELD
    + """
local status = redis.call('HGET', KEYS[1], 'status')
if status == 'done' then return {'done'} end
if status == 'cancelled' and ARGV[5] ~= 'again' then return {'cancelled'} end
if (whole(ARGV[2]) or 0) == 0 then return {'number', 'ttl_ms', ARGV[2]} end
local fences = redis.call('HGET', KEYS[1], 'fences')
if fences and not whole(fences) then return {'damaged', 'fences', fences} end
-- A count alone would come twice if Redis lost its last moments between two takings.
local fence = redis.call('HINCRBY', KEYS[1], 'fences', 1) .. '-' .. ARGV[4]
redis.call('HSET', KEYS[1], 'status', 'running', 'fence', fence)
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {'ok', fence}
"""
)

CLAIM = Script(
    "-- KEYS meta, lease; ARGV holder, ttl_ms, holder to take over from ('' for none)\n"
    + _LOOK
    + """
local bad = mistyped(KEYS[1], 'hash') or mistyped(KEYS[2], 'string')
if bad then return bad end
"""
    + _HELD
    + """
if redis.call('EXISTS', KEYS[1]) == 1 then
    return {redis.call('HGET', KEYS[1], 'status') == 'cancelled' and 'cancelled' or 'there'}
end
if (whole(ARGV[2]) or 0) == 0 then return {'number', 'ttl_ms', ARGV[2]} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {'ok'}
"""
)

RENEW = Script(
    "-- KEYS meta, lease; ARGV fence, holder, ttl_ms\n"
    + _GUARD
    + """
if (whole(ARGV[3]) or 0) == 0 then return {'number', 'ttl_ms', ARGV[3]} end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return {'ok'}
"""
)

RELEASE = Script("""
-- KEYS lease; ARGV holder
if redis.call('TYPE', KEYS[1]).ok ~= 'string' then return {'ok'} end
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return {'ok'}
""")

_BEGIN = """
-- The world is about to be touched at the step `after`.
local function begin(after, head, token)
    -- The step and its history: an answer that a person gave holds for no other question.
    local here = after .. ' ' .. head
    local meta = redis.call('HMGET', KEYS[1], 'acting', 'decided', 'word', 'attempt', 'handed', 'again')
    if meta[1] == here and meta[4] == token then -- done before; only the reply was lost
        if meta[5] then return {'ok', meta[6], meta[5]} end
        return {'ok', meta[6]}
    end
    local again = meta[1] == here and '1' or ''
    redis.call('HSET', KEYS[1], 'acting', here, 'attempt', token, 'again', again)
    redis.call('HDEL', KEYS[1], 'decided', 'word', 'handed') -- an answer holds for one attempt
    if meta[2] ~= here or not meta[3] then return {'ok', again} end
    redis.call('HSET', KEYS[1], 'handed', meta[3])
    return {'ok', again, meta[3]}
end
"""

APPEND = Script(
    """
-- KEYS meta, lease, log, kept, contested
-- ARGV fence, holder, ttl_ms, expected next, next, head before, head after, frame, now,
--      a token of the attempt to act that begins there ('' for none),
--      JSON [counter, increment, ...] of texts, JSON [contested step, ...], (step, kept samples)*
"""
    + _GUARD
    + _BEGIN
    + """
local function appended()
    if ARGV[10] == '' then return {'ok'} end
    return begin(ARGV[5], ARGV[7], ARGV[10])
end
if found[2] == ARGV[5] and found[3] == ARGV[7] then return appended() end -- done before; only the reply was lost
if found[2] ~= ARGV[4] or found[3] ~= ARGV[6] then return {'moved', found[2], found[3]} end
bad = mistyped(KEYS[3], 'list') or mistyped(KEYS[4], 'hash') or mistyped(KEYS[5], 'list')
if bad then return bad end
if (whole(ARGV[3]) or 0) == 0 then return {'number', 'ttl_ms', ARGV[3]} end
if not whole(ARGV[5]) then return {'number', 'next', ARGV[5]} end
local added = cjson.decode(ARGV[11])
local written = {'next', ARGV[5], 'head', ARGV[7], 'updated', ARGV[9]}
for i = 1, #added, 2 do
    local name, more = added[i], added[i + 1]
    local sum = redis.call('HGET', KEYS[1], name) or '0'
    if not whole(sum) then return {'damaged', name, sum} end
    if not whole(more) or whole(sum) + whole(more) >= 1e15 then return {'number', name, more} end
    written[#written + 1] = name
    written[#written + 1] = string.format('%.0f', whole(sum) + whole(more))
end
redis.call('RPUSH', KEYS[3], ARGV[8])
redis.call('HSET', KEYS[1], unpack(written))
for _, step in ipairs(cjson.decode(ARGV[12])) do redis.call('RPUSH', KEYS[5], step) end
for i = 13, #ARGV, 2 do redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 1]) end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return appended()
"""
)

SEAL = Script(
    "-- KEYS meta, lease, segments; ARGV fence, next, head, segment, snapshot\n"
    + _GUARD
    + _STANDS
    + """
bad = mistyped(KEYS[3], 'hash')
if bad then return bad end
local sealed = redis.call('HGET', KEYS[1], 'sealed')
if not whole(sealed) then return {'damaged', 'sealed', sealed or ''} end
sealed = whole(sealed)
local segment = tonumber(ARGV[4])
if sealed > segment + 1 then return {'ok'} end -- done before
if sealed < segment then return {'moved', tostring(sealed), ''} end
-- The one sealed last is sealed again: only the reply was lost, or it was short and has grown.
redis.call('HSET', KEYS[3], ARGV[4], ARGV[5])
redis.call('HSET', KEYS[1], 'sealed', segment + 1)
return {'ok'}
"""
)

BEGIN = Script(
    "-- KEYS meta, lease; ARGV fence, next, head, a token of this attempt\n"
    + _GUARD
    + _STANDS
    + _BEGIN
    + "return begin(found[2], found[3], ARGV[4])"
)

DECIDE = Script(
    _LOOK
    + """
-- KEYS meta; ARGV next and head of the question, the answer
local bad = mistyped(KEYS[1], 'hash')
if bad then return bad end
local found = redis.call('HMGET', KEYS[1], 'status', 'next', 'head', 'decided', 'word')
if not found[1] then return {'missing'} end
if found[1] ~= 'asking' then return {'moved', found[1]} end
if found[2] .. ' ' .. found[3] ~= ARGV[1] then return {'moved', found[1]} end
if found[4] == ARGV[1] and found[5] ~= ARGV[2] then return {'decided', found[5] or ''} end
redis.call('HSET', KEYS[1], 'decided', ARGV[1], 'word', ARGV[2])
return {'ok'}
"""
)

REWIND = Script(
    "-- KEYS meta, lease, kept, log...; ARGV fence, next, head, next to go back to, head there, segments before it\n"
    + _GUARD
    + "if found[2] == ARGV[4] and found[3] == ARGV[5] then return {'ok'} end -- done before; only the reply was lost"
    + _STANDS
    + """
bad = mistyped(KEYS[3], 'hash')
if bad then return bad end
local repairs = redis.call('HGET', KEYS[1], 'n:repairs') or '0'
if not whole(repairs) then return {'damaged', 'n:repairs', repairs} end
for i = 4, #KEYS do redis.call('DEL', KEYS[i]) end
for _, step in ipairs(redis.call('HKEYS', KEYS[3])) do
    if tonumber(step) >= tonumber(ARGV[4]) then redis.call('HDEL', KEYS[3], step) end
end
redis.call('HSET', KEYS[1], 'next', ARGV[4], 'head', ARGV[5], 'sealed', ARGV[6])
redis.call('HINCRBY', KEYS[1], 'n:repairs', 1)
return {'ok'}
"""
)

BACK = Script(
    "-- KEYS meta, lease, kept, log; ARGV fence, next, head, next to go back to, head there, frames that stay, a frame that follows them\n"
    "--      ('' for none), JSON [first, last] of what is decided again\n"
    + _GUARD
    + "if found[2] == ARGV[4] and found[3] == ARGV[5] then return {'ok'} end -- done before; only the reply was lost"
    + _STANDS
    + """
bad = mistyped(KEYS[3], 'hash') or mistyped(KEYS[4], 'list')
if bad then return bad end
if not whole(ARGV[6]) then return {'number', 'frames', ARGV[6]} end
if ARGV[6] == '0' then redis.call('DEL', KEYS[4]) else redis.call('LTRIM', KEYS[4], 0, whole(ARGV[6]) - 1) end
if ARGV[7] ~= '' then redis.call('RPUSH', KEYS[4], ARGV[7]) end
for _, step in ipairs(redis.call('HKEYS', KEYS[3])) do
    if tonumber(step) >= tonumber(ARGV[4]) then redis.call('HDEL', KEYS[3], step) end
end
redis.call('HSET', KEYS[1], 'next', ARGV[4], 'head', ARGV[5], 'redo', ARGV[8])
return {'ok'}
"""
)

SETTLE = Script(
    "-- KEYS meta, lease; ARGV fence, next, head, (field, value)*\n"
    + _GUARD
    + _STANDS
    + """
for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return {'ok'}
"""
)

CANCEL = Script("""
-- KEYS meta; the running holder is refused at its next commit
if redis.call('EXISTS', KEYS[1]) == 0 then return {'missing'} end -- deleted since it was read
if redis.call('HGET', KEYS[1], 'status') == 'done' then return {'done'} end
redis.call('HSET', KEYS[1], 'status', 'cancelled')
return {'ok'}
""")

MARK = Script("""
-- KEYS meta; ARGV a field that a person sets, its value ('' takes it away); whoever runs the job sees it
if redis.call('EXISTS', KEYS[1]) == 0 then return {'missing'} end -- deleted since it was read
if redis.call('HGET', KEYS[1], 'status') == 'done' then return {'done'} end
if ARGV[2] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return {'ok'}
""")

CLOSE = Script("""
-- KEYS meta, lease; ARGV the lease that was seen, of a holder who is gone ('' for none)
if redis.call('TYPE', KEYS[2]).ok == 'string' and redis.call('GET', KEYS[2]) ~= ARGV[1] then return {'held'} end
if redis.call('TYPE', KEYS[1]).ok == 'hash' then
    -- No token is like this one, so a runner that holds the job unseen is refused at the next commit.
    redis.call('HSET', KEYS[1], 'status', 'cancelled', 'fence', '')
end
redis.call('DEL', KEYS[2])
return {'ok'}
""")
