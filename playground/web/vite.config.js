import { gzipSync } from 'fflate';
import { defineConfig } from 'vite';

// Of everything but the page itself only the gzip form is kept: it is what the
// server sends and embeds, at a third of the size. fflate is used instead of
// node:zlib because its bytes do not depend on the Node version or the CPU, and
// CI compares the bytes.
const gzipAssets = {
  name: 'gzip-assets',
  generateBundle: {
    order: 'post',
    handler(_options, bundle) {
      for (const [fileName, file] of Object.entries(bundle)) {
        if (fileName === 'index.html') continue;
        const raw = Buffer.from(file.type === 'chunk' ? file.code : file.source);
        this.emitFile({
          type: 'asset',
          fileName: `${fileName}.gz`,
          source: gzipSync(raw, { level: 9, mtime: 0 }),
        });
        delete bundle[fileName];
      }
    },
  },
};

export default defineConfig({
  base: '/playground/',
  plugins: [gzipAssets],
  worker: { format: 'es' },
  build: {
    outDir: '../dist',
    emptyOutDir: true,
    target: 'es2022',
    // A data: URI would need its own allowance in the page's policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: 'licenses.txt' },
    // Monaco is one big chunk, loaded only here; its size is no news.
    chunkSizeWarningLimit: 4096,
    // Libraries that also serve React server components say "use client",
    // which means nothing in a page that has only a client.
    rolldownOptions: { checks: { moduleLevelDirective: false } },
  },
});
