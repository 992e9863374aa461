import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  root: 'web',
  plugins: [react()],
  // The packages are linked from this repository: one React for all of them.
  resolve: { dedupe: ['react', 'react-dom', '@tanstack/react-query', 'lit'] },
  build: { outDir: '../dist', emptyOutDir: true },
});
