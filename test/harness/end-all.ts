// A set-up file of Vitest: runs for each test file, where a module that several files share is imported once.
import { afterAll, afterEach } from 'vitest';
import { endAll } from './lifetime.ts';

afterEach(() => endAll('test'));
afterAll(() => endAll('file'));
