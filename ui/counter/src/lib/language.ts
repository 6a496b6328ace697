/** The counter's own messages speak the language that is shown; imported for its effect. */

import { locale } from '@counterfoil/shared/words';
import { overwriteGetLocale } from '../paraglide/runtime.js';

overwriteGetLocale(locale);
