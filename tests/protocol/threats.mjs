// What the tests of threats share. With CHAOS=1 (./dev chaos) they play their full counts.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

export const chaos = process.env.CHAOS === '1';
// The count in CI, and the full one.
export const count = (short, full) => (chaos ? full : short);

// Resident memory of the server, in MiB.
export function memory(server) {
  const pages = Number(readFileSync(`/proc/${server.child.pid}/statm`, 'utf8').split(' ')[1]);
  return (pages * 4096) / (1024 * 1024);
}

// A repeatable source of numbers (mulberry32).
export function random(seed) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return {
    next,
    below: (n) => Math.floor(next() * n),
    pick: (list) => list[Math.floor(next() * list.length)],
  };
}

// Sends raw bytes on a connection of their own, and gives everything that comes back until it is closed or
// quiet.
export function exchange(port, bytes, { quiet = 300, host = '127.0.0.1' } = {}) {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    let text = '';
    let timer;
    const done = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(text);
    };
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(done, quiet);
    };
    socket.on('data', (piece) => {
      text += piece.toString('latin1');
      wait();
    });
    socket.on('error', done);
    socket.on('close', done);
    socket.write(bytes);
    wait();
  });
}

// Goes on asking like an honest client while `work` runs; gives what it did not get, and its slowest
// hundredth in ms.
export async function besides(server, work) {
  let over = false;
  const times = [];
  let failed = 0;
  const asking = (async () => {
    while (!over) {
      const began = performance.now();
      const answer = await fetch(`${server.url}/healthz`).catch(() => undefined);
      if (answer?.status !== 200) ++failed;
      await answer?.text();
      times.push(performance.now() - began);
    }
  })();
  const result = await work();
  over = true;
  await asking;
  times.sort((a, b) => a - b);
  return { result, failed, asked: times.length, p99: times[Math.floor(times.length * 0.99)] ?? 0 };
}
