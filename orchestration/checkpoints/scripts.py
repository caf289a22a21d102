"""The saver's Lua: each script is one atomic change or one consistent read of a thread.

Every script gets all eight keys of its thread (`Layout.thread`) as KEYS, so that none touches an
undeclared key. An *address* is `namespace NUL checkpoint_id`; members of the sorted sets begin with an address and have
score 0, so that byte order is (namespace, age) and a prefix is a range. Running a script twice leaves
what running it once leaves: a client may retry after a lost connection.
"""

from surefoot.orchestration.redis.script import Script

BATCH = 128
"""Checkpoints that one call removes at most: keeps the server responsive on a thread with a long past."""

_PRELUDE = r"""
local call = redis.call
local ids, checkpoints, blobs, refs = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local writes, runs, owned, deltas = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local SEP, END = '\0', '\1'

local function under(key, prefix, limit)
  return call('ZRANGEBYLEX', key, '[' .. prefix .. SEP, '(' .. prefix .. END, 'LIMIT', 0, limit or -1)
end

local function newest(ns, offset, count)
  return call('ZREVRANGEBYLEX', ids, '(' .. ns .. END, '[' .. ns .. SEP, 'LIMIT', offset, count)
end

local function namespace(address) return string.match(address, '^[^%z]*') end

local function header(record)
  return cjson.decode(string.sub(record, 1, string.find(record, SEP, 1, true) - 1))
end

local function read(address)
  local record = call('HGET', checkpoints, address)
  if not record then return nil end
  local values = {}
  for i, name in ipairs(header(record).held) do
    values[i] = call('HGET', blobs, namespace(address) .. SEP .. name)
  end
  return {address, record, values, under(writes, address)}
end
"""

# `refs` counts a blob's holders beyond the first: a value that one checkpoint holds costs no counter.
_REMOVAL = r"""
local function release(address, head)
  for _, name in ipairs(head.held) do
    local blob = namespace(address) .. SEP .. name
    local more = tonumber(call('HGET', refs, blob) or 0)
    if more > 1 then call('HINCRBY', refs, blob, -1)
    elseif more == 1 then call('HDEL', refs, blob)
    else call('HDEL', blobs, blob) end
  end
  if head.run then call('ZREM', runs, head.run .. SEP .. address) end
  if head.owner then call('ZREM', owned, head.owner[1] .. SEP .. head.owner[2] .. SEP .. address) end
  call('HDEL', deltas, address)
end

-- Writes older than the first checkpoint of `ns` came late, after their checkpoint had gone.
local function sweep(ns, first)
  call('ZREMRANGEBYLEX', writes, '[' .. ns .. SEP, '(' .. (first or ns .. END))
end

local drop

local function drop_owned(entries)
  for _, entry in ipairs(entries) do
    local address = string.match(entry, '^[^%z]*%z[^%z]*%z(.*)$')
    drop(address)
    call('ZREM', owned, entry)
    sweep(namespace(address), under(ids, namespace(address), 1)[1])
  end
end

function drop(address)
  local record = call('HGET', checkpoints, address)
  if record then release(address, header(record)) end
  call('HDEL', checkpoints, address)
  call('ZREM', ids, address)
  call('ZREMRANGEBYLEX', writes, '[' .. address .. SEP, '(' .. address .. END)
  drop_owned(under(owned, address))
end

-- Not Lua's `<`: that one follows the server's locale, sorted sets do not.
local function older(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- The oldest address of `ns` that must stay: the keep-th newest, or an ancestor from which
-- a DeltaChannel of one of the kept checkpoints is still rebuilt.
local function oldest_needed(ns, keep)
  local oldest = newest(ns, keep - 1, 1)[1]
  if not oldest or call('HLEN', deltas) == 0 then return oldest end
  for _, address in ipairs(newest(ns, 0, keep)) do
    for _, id in pairs(cjson.decode(call('HGET', deltas, address) or '{}')) do
      if older(ns .. SEP .. id, oldest) then oldest = ns .. SEP .. id end
    end
  end
  return oldest
end

-- Returns whether more is left to trim.
local function trim(ns, keep, batch)
  local oldest = oldest_needed(ns, keep)
  if not oldest then return false end
  local old = call('ZRANGEBYLEX', ids, '[' .. ns .. SEP, '(' .. oldest, 'LIMIT', 0, batch)
  for _, address in ipairs(old) do drop(address) end
  local first = under(ids, ns, 1)[1]
  sweep(ns, first)
  drop_owned(call('ZRANGEBYLEX', owned, '[' .. ns .. SEP, '(' .. first, 'LIMIT', 0, batch))
  return #old == batch
end
"""


PUT = Script(
    _PRELUDE
    + _REMOVAL
    + r"""
local ns, id, record, keep, batch = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local address, head, given = ns .. SEP .. id, header(record), {}
for i = 6, #ARGV, 2 do given[ARGV[i]] = ARGV[i + 1] end

local missing = {}
for _, name in ipairs(head.held) do
  if not given[name] and call('HEXISTS', blobs, ns .. SEP .. name) == 0 then
    missing[#missing + 1] = name
  end
end
if #missing > 0 then return missing end

for _, name in ipairs(head.held) do
  local blob, created = ns .. SEP .. name, false
  if given[name] then created = call('HSET', blobs, blob, given[name]) == 1 end
  if not created then call('HINCRBY', refs, blob, 1) end
end
local replaced = call('HGET', checkpoints, address)
if replaced then release(address, header(replaced)) end

call('ZADD', ids, 0, address)
call('HSET', checkpoints, address, record)
if head.run then call('ZADD', runs, 0, head.run .. SEP .. address) end
if head.owner then call('ZADD', owned, 0, head.owner[1] .. SEP .. head.owner[2] .. SEP .. address) end
if head.parent and #head.open > 0 then
  local inherited = cjson.decode(call('HGET', deltas, ns .. SEP .. head.parent) or '{}')
  local base = {}
  for _, channel in ipairs(head.open) do base[channel] = inherited[channel] or head.parent end
  call('HSET', deltas, address, cjson.encode(base))
end
if keep > 0 then trim(ns, keep, batch) end
return {}
"""
)
"""namespace, id, record, keep (0: all), batch, then name and value of each blob sent.

Returns the names of the blobs that are neither stored nor sent; then nothing was changed.
"""

PUT_WRITES = Script(
    _PRELUDE
    + r"""
for i = 2, #ARGV, 3 do
  local name = ARGV[1] .. SEP .. ARGV[i]
  local stored = under(writes, name, 1)[1]
  if stored and ARGV[i + 1] == '1' then call('ZREM', writes, stored) end
  if not stored or ARGV[i + 1] == '1' then call('ZADD', writes, 0, name .. SEP .. ARGV[i + 2]) end
end
"""
)
"""address, then `task NUL index`, whether a stored one is replaced ('1') or stays ('0'), and the write itself."""

READ = Script(
    _PRELUDE
    + r"""
local found = {}
for _, address in ipairs(ARGV) do found[#found + 1] = read(address) end
return found
"""
)
"""addresses; returns address, record, blobs and writes of each one that is stored."""

READ_LATEST = Script(
    _PRELUDE
    + r"""
local address = newest(ARGV[1], 0, 1)[1]
return {address and read(address)}
"""
)
"""namespace; returns its newest checkpoint as READ does."""

PRUNE = Script(
    _PRELUDE
    + _REMOVAL
    + r"""
local more, first = 0, call('ZRANGE', ids, 0, 0)[1]
while first do
  local ns = namespace(first)
  if trim(ns, 1, tonumber(ARGV[1])) then more = 1 end
  first = call('ZRANGEBYLEX', ids, '[' .. ns .. END, '+', 'LIMIT', 0, 1)[1]
end
return more
"""
)
"""batch; returns 1 while more is left to prune."""

DELETE_RUNS = Script(
    _PRELUDE
    + _REMOVAL
    + r"""
local more, batch = 0, tonumber(ARGV[1])
for i = 2, #ARGV do
  local entries = under(runs, ARGV[i], batch)
  for _, entry in ipairs(entries) do
    drop(string.sub(entry, #ARGV[i] + 2))
    call('ZREM', runs, entry)
  end
  if #entries == batch then more = 1 end
end
return more
"""
)
"""batch, then run ids; returns 1 while more is left to delete."""
