// The official conformance suite finds nothing to object to: each of its scenarios is a test here.
import { describeConformance } from './conformance-stories.ts';

describeConformance('stdio');
