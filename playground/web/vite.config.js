import { gzipSync } from 'fflate';
import { defineConfig } from 'vite';

// Replaces every file but the page with its gzip form, which the server embeds
// and sends, at a third of the size. fflate is used instead of node:zlib because
// its output does not depend on the Node version or the CPU, and CI compares it.
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
    // A data: URI would need an exception in the page's Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: 'licenses.txt' },
    // Monaco is one big chunk, loaded only by this page.
    chunkSizeWarningLimit: 4096,
    // Libraries that support React server components contain "use client",
    // which has no effect here.
    rolldownOptions: { checks: { moduleLevelDirective: false } },
  },
});
