// What each package costs a page: minified, gzip -9, dependencies that the installer brings left out. Ends
// with 1 if one is beyond its ceiling. The goal is what was aimed at; where the ceiling is above it, the
// goal is missed, and said so.
//
//   node sizes.mjs
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { bundle } from './build.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const peers = /^(@belfry\/client|@belfry\/inbox|react|react-dom|react\/.*|@tanstack\/.*)$/;

/** name, entry, imports that are not counted, the files that are, goal and ceiling in bytes */
const rows = [
  [
    'client: WebSocket, feed',
    'client/src/index.ts',
    undefined,
    (file) => !/^(http|tabs|diagnose|history|iterate)-/.test(file),
    8_000,
    13_100,
  ],
  [
    'client: SSE, streaming, polls (on demand)',
    'client/src/index.ts',
    undefined,
    (file) => /^http-/.test(file),
    2_500,
    2_800,
  ],
  [
    'client: tabs (on demand)',
    'client/src/index.ts',
    undefined,
    (file) => /^tabs-/.test(file),
    2_500,
    2_500,
  ],
  ['react', 'react/src/index.ts', peers, () => true, 3_500, 3_500],
  ['inbox, with Lit', 'inbox/src/index.ts', peers, () => true, 18_000, 18_000],
];

let failed = false;
console.log('package                                      bytes    goal');
for (const [name, entry, external, counted, goal, ceiling] of rows) {
  const folder = mkdtempSync(join(tmpdir(), 'belfry-size-'));
  await bundle(folder, { entry: join(here, entry) }, external);
  const files = readdirSync(folder).filter((file) => file.endsWith('.js') && counted(file));
  const bytes = gzipSync(Buffer.concat(files.map((file) => readFileSync(join(folder, file)))), {
    level: 9,
  }).length;
  rmSync(folder, { recursive: true });
  const verdict = bytes > ceiling ? `beyond its ceiling of ${ceiling}` : bytes > goal ? 'missed' : '';
  failed ||= bytes > ceiling;
  console.log(`${name.padEnd(42)} ${String(bytes).padStart(7)} ${String(goal).padStart(7)} ${verdict}`);
}
process.exit(failed ? 1 : 0);
