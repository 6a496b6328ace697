import './lib/language';
import { afterEach } from 'vitest';

afterEach(() => localStorage.clear());
