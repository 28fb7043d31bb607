// make FILE: writes a CAR of a small tree, prints its root. check FILE ROOT: reads one, verifies every block and link.
import { createReadStream, createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { CarReader, CarWriter } from '@ipld/car'
import * as dagPb from '@ipld/dag-pb'
import { sha256 } from 'multiformats/hashes/sha2'
import { importer } from 'ipfs-unixfs-importer'

const [, , what, file, root] = process.argv
const text = (t) => new TextEncoder().encode(t)

if (what === 'make') {
  // Blocks under the ids that they were put by: the codec counts.
  const blocks = []
  const store = { put: async (cid, bytes) => { blocks.push({ cid, bytes }); return cid } }
  let last
  for await (const entry of importer([
    { path: 'a.txt', content: [text('hello\n')] },
    { path: 'sub/größe.txt', content: [text('umlaut\n')] },
    { path: 'sub/empty', content: [] }
  ], store, { profile: 'unixfs-v1-2025', wrapWithDirectory: true })) last = entry
  const { writer, out } = CarWriter.create([last.cid])
  const done = new Promise((resolve, reject) => Readable.from(out).pipe(createWriteStream(file)).on('finish', resolve).on('error', reject))
  for (const block of blocks) await writer.put(block)
  await writer.close()
  await done
  console.log(last.cid.toString())
} else {
  const reader = await CarReader.fromIterable(createReadStream(file))
  const roots = (await reader.getRoots()).map(String)
  if (roots.length !== 1 || roots[0] !== root) throw new Error(`roots ${roots}, not ${root}`)
  const there = new Set()
  const wanted = new Set(roots)
  for await (const { cid, bytes } of reader.blocks()) {
    const digest = await sha256.digest(bytes)
    if (Buffer.compare(Buffer.from(digest.digest), Buffer.from(cid.multihash.digest)) !== 0) throw new Error(`${cid} is wrong`)
    there.add(String(cid))
    if (cid.code === dagPb.code) for (const link of dagPb.decode(bytes).Links) wanted.add(String(link.Hash))
  }
  for (const cid of wanted) if (!there.has(cid)) throw new Error(`${cid} is missing`)
  console.log(`car-interop: ${there.size} blocks are right`)
}
