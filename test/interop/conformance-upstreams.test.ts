// The official conformance suite finds nothing to object to when the server is reached over HTTP either.
import { describeConformance } from './conformance-stories.ts';

describeConformance('http');
describeConformance('sse');
