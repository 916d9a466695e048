// The clients that people have, when the server is reached over HTTP, and when they only know the older transport.
import { describeClients, legacySse, streamableHttp } from './client-stories.ts';

describeClients('http', streamableHttp);
describeClients('sse', streamableHttp);
describeClients('stdio', legacySse);
