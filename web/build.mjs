// Builds the packages (dist/ of each: readable, dependencies left to the installer) and the files that the
// server serves under /sdk (minified, whole).
//
//   node build.mjs [--sdk FOLDER]    [../build/web/sdk]

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const here = dirname(fileURLToPath(import.meta.url));
const peers = /^(@belfry\/.*|react|react-dom|react\/.*|@tanstack\/.*|lit|lit\/.*)$/;
const common = { configFile: false, logLevel: 'error', root: here };
const own = { '@belfry/client': join(here, 'client/src/index.ts') };

/** One package's dist/: an entry for each export, chunks for what is loaded later, and its types. */
async function library(folder, entries) {
  await build({
    ...common,
    root: join(here, folder),
    build: {
      target: 'es2022',
      outDir: 'dist',
      minify: false,
      lib: { entry: entries, formats: ['es'] },
      rollupOptions: { external: peers, output: { chunkFileNames: '[name].js' } },
    },
  });
  const options = [
    '--noEmit',
    'false',
    '--declaration',
    '--emitDeclarationOnly',
    '--outDir',
    'dist',
    '--rootDir',
    'src',
  ];
  const tsc = join(here, 'node_modules/.bin/tsc');
  const done = spawnSync(tsc, ['-p', 'tsconfig.build.json', ...options], {
    cwd: join(here, folder),
    encoding: 'utf8',
  });
  if (done.status !== 0) throw new Error(`${folder}: ${done.stdout}${done.stderr}`);
}

/** Minified files with their hash in the name; `external` stays an import. */
export async function bundle(folder, entries, external) {
  rmSync(folder, { recursive: true, force: true });
  await build({
    ...common,
    resolve: { alias: external ? {} : own },
    build: {
      target: 'es2022',
      outDir: folder,
      emptyOutDir: true,
      modulePreload: false,
      // As a library: without Vite's helper that loads style sheets before a chunk, which asks for a window.
      lib: { entry: entries, formats: ['es'] },
      rollupOptions: {
        external,
        preserveEntrySignatures: 'strict',
        output: {
          format: 'es',
          hashCharacters: 'hex',
          entryFileNames: '[name]-[hash:10].js',
          chunkFileNames: '[name]-[hash:10].js',
          minify: true,
        },
      },
    },
  });
  return Object.fromEntries(
    Object.keys(entries).map((name) => [
      name,
      readdirSync(folder).find((file) => file.startsWith(`${name}-`)),
    ]),
  );
}

/** A name without a hash that leads to the one with it, and a list of all with their integrity. */
function finish(folder, entries) {
  for (const [name, file] of Object.entries(entries))
    writeFileSync(join(folder, `${name}.js`), `export * from './${file}';\n`);
  const integrity = {};
  for (const file of readdirSync(folder)) {
    const digest = createHash('sha384')
      .update(readFileSync(join(folder, file)))
      .digest('base64');
    integrity[file] = `sha384-${digest}`;
  }
  writeFileSync(join(folder, 'index.json'), JSON.stringify({ entries, integrity }, null, 2));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf('--sdk');
  const sdk = resolve(at > 0 ? process.argv[at + 1] : join(here, '../build/web/sdk'));
  await library('client', { index: 'src/index.ts', testing: 'src/testing/index.ts' });
  await library('inbox', { index: 'src/index.ts' });
  await library('react', { index: 'src/index.ts' });
  const sources = { client: join(here, 'client/src/index.ts'), inbox: join(here, 'inbox/src/index.ts') };
  finish(sdk, await bundle(sdk, sources));
}
