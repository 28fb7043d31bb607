// Ids of files and directories with reproducible content, one per line: name, id.
import { importer } from 'ipfs-unixfs-importer'
import { BlackHoleBlockstore } from 'blockstore-core/black-hole'

const store = new BlackHoleBlockstore()
const profile = { profile: 'unixfs-v1-2025' }

function * pattern (size) {
  const step = 1024 * 1024
  for (let from = 0; from < size; from += step) {
    const part = new Uint8Array(Math.min(step, size - from))
    for (let i = 0; i < part.length; i++) {
      const at = from + i
      part[i] = (at * 31 + Math.floor(at / 251) + Math.floor(at / 65521)) % 256
    }
    yield part
  }
}

async function last (source, wrap) {
  let out
  for await (const entry of importer(source, store, { ...profile, wrapWithDirectory: wrap })) out = entry
  return out.cid.toString()
}

for (const size of [0, 1, 10, 1048575, 1048576, 1048577, 5000000, 300000000, 1024 * 1048576, 1024 * 1048576 + 5]) {
  console.log(`file-${size}`, await last([{ path: 'f', content: pattern(size) }], false))
}
const text = (t) => new TextEncoder().encode(t)
console.log('tree', await last([
  { path: 'a.txt', content: [text('hello\n')] },
  { path: '.hidden', content: [text('secret\n')] },
  { path: 'sub/größe.txt', content: [text('umlaut\n')] },
  { path: 'sub/empty', content: [] },
  { path: 'nothing' }
], true))
// 3,500 entries stay one block of less than 256 KiB, 3,600 do not.
for (const count of [0, 1, 3000, 3500, 3600, 10000]) {
  const entries = []
  for (let i = 0; i < count; i++) entries.push({ path: `entry number ${i}`, content: pattern(10) })
  console.log(`directory-${count}`, count > 0 ? await last(entries, true) : await last([{ path: 'd' }], false))
}
// With modes and times: a file of one chunk, of two, of none; a time before 1970; a tree; a sharded directory.
const attributes = { mode: 0o600, mtime: { secs: 1700000000, nsecs: 123456789 } }
for (const size of [0, 10, 1048576, 1048577]) {
  console.log(`attributes-${size}`, await last([{ path: 'f', content: pattern(size), ...attributes }], false))
}
console.log('attributes-early', await last([{ path: 'f', content: pattern(10), mode: 0o4751, mtime: { secs: -1 } }], false))
// A directory comes before what is in it: this implementation takes it for another one otherwise.
console.log('attributes-tree', await last([
  { path: 't', mode: 0o750, mtime: { secs: 1700000002, nsecs: 1 } },
  { path: 't/d', mode: 0o700, mtime: { secs: 1700000001 } },
  { path: 't/a', content: [text('a')], ...attributes }
], false))
const sharded = []
for (let i = 0; i < 3600; i++) sharded.push({ path: `d/entry number ${i}`, content: pattern(10) })
console.log('attributes-sharded', await last([{ path: 'd', mode: 0o700, mtime: { secs: 1700000000 } }, ...sharded], false))
