// Node's own fetch, which is undici: `node undici.mjs VERB` with the task as JSON on stdin.
//
// stream  each file piped from the body to a write stream
// small   each file read whole, written beside and renamed, `concurrency` at once
//
// Prints one JSON line: what the work alone took, and what was stored.
import { createWriteStream, readFileSync, statSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

const task = JSON.parse(readFileSync(0, "utf8"));
const headers = { Authorization: `Bearer ${task.token}` };

async function open({ id }) {
  const url = `${task.base_url}/api/syncs/${task.sync_id}/records/${id}/content`;
  const answer = await fetch(url, { headers });
  if (answer.status !== 200) throw new Error(`${answer.status} for ${id}`);
  return answer;
}

async function stream(item) {
  const path = join(task.folder, item.id);
  const answer = await open(item);
  await pipeline(Readable.fromWeb(answer.body), createWriteStream(path));
  return statSync(path).size;
}

async function small(item) {
  const answer = await open(item);
  const body = Buffer.from(await answer.arrayBuffer());
  const path = join(task.folder, item.id);
  await writeFile(`${path}.part`, body);
  await rename(`${path}.part`, path);
  return body.length;
}

async function worker(items, fetchOne, sum) {
  for (const item of items) {
    const size = await fetchOne(item); // read before the sum, which others change meanwhile
    sum.bytes += size;
    sum.count += 1;
  }
}

const verbs = { stream, small };
const fetchOne = verbs[process.argv[2]];
const items = task.items.values(); // one iterator: the workers share it
const sum = { count: 0, bytes: 0 };
const cpuBegun = process.cpuUsage();
const begun = performance.now();
await Promise.all(
  Array.from({ length: task.concurrency }, () => worker(items, fetchOne, sum)),
);
const wall = (performance.now() - begun) / 1000;
const cpu = process.cpuUsage(cpuBegun);
let peak = process.resourceUsage().maxRSS; // KiB
try {
  peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
} catch {
  // No /proc: the figure above, which on Linux may be that of the parent, has to do.
}
console.log(
  JSON.stringify({
    wall,
    cpu: (cpu.user + cpu.system) / 1e6,
    memory_mb: (peak * 1024) / 1e6,
    ...sum,
  }),
);
