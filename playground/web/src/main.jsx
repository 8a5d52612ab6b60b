import './workers.js';

// graphiql/style.css embeds Roboto and Fira Code as 300 kB of data: URIs.
// Importing the style sheets that it consists of leaves the fonts out.
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import '@graphiql/plugin-explorer/style.css';
import 'graphiql/graphiql.css';
import './page.css';

import { explorerPlugin } from '@graphiql/plugin-explorer';
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { createRoot } from 'react-dom/client';
import { samples } from './samples.js';

const endpoint = new URL('/graphql', location.href);
const subscriptions = new URL(endpoint);
subscriptions.protocol = endpoint.protocol.replace('http', 'ws');

const fetcher = createGraphiQLFetcher({
  url: endpoint.pathname,
  // The WebSocket opens with the first subscription, not with the page.
  subscriptionUrl: subscriptions.href,
});

createRoot(document.getElementById('playground')).render(
  <GraphiQL
    fetcher={fetcher}
    plugins={[HISTORY_PLUGIN, explorerPlugin()]}
    defaultTabs={samples}
    defaultEditorToolsVisibility="variables"
    isHeadersEditorEnabled
  >
    <GraphiQL.Logo>veranda</GraphiQL.Logo>
  </GraphiQL>,
);
