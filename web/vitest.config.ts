import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const own = [
  { find: '@belfry/client/testing', replacement: source('client/src/testing/index.ts') },
  { find: '@belfry/client', replacement: source('client/src/index.ts') },
  { find: '@belfry/react', replacement: source('react/src/index.ts') },
  { find: '@belfry/inbox', replacement: source('inbox/src/index.ts') },
];
const react18 = ['react-dom', 'react'].map((name) => ({
  find: new RegExp(`^${name}(?=/|$)`),
  replacement: source(`react18/node_modules/${name}`),
}));
// Its CommonJS build would bring the other React.
const library = {
  find: '@testing-library/react',
  replacement: source('node_modules/@testing-library/react/dist/@testing-library/react.esm.js'),
};
const test = { testTimeout: 30_000, restoreMocks: true };

export default defineConfig({
  test: {
    projects: [
      {
        resolve: { alias: own },
        test: { ...test, name: 'packages', include: ['*/test/**/*.test.ts', '*/test/**/*.test.tsx'] },
      },
      {
        resolve: { alias: [...own, library, ...react18] },
        test: {
          ...test,
          name: 'react 18',
          include: ['react/test/**/*.test.tsx'],
          // So that they see the same React.
          server: { deps: { inline: [/@testing-library/, /@tanstack/] } },
        },
      },
    ],
  },
});
