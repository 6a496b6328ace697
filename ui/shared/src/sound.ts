/** Short tones, made on the spot: no files, and each verdict is told apart with eyes closed. */

export type Sound = 'good' | 'bad' | 'unsure' | 'note' | 'done';

interface Tone {
  hertz: number;
  start: number;
  length: number;
  shape: OscillatorType;
}

const TONES: Record<Sound, Tone[]> = {
  good: [
    { hertz: 784, start: 0, length: 0.09, shape: 'sine' },
    { hertz: 1175, start: 0.1, length: 0.14, shape: 'sine' },
  ],
  done: [
    { hertz: 784, start: 0, length: 0.08, shape: 'sine' },
    { hertz: 988, start: 0.09, length: 0.08, shape: 'sine' },
    { hertz: 1568, start: 0.18, length: 0.22, shape: 'sine' },
  ],
  bad: [
    { hertz: 196, start: 0, length: 0.16, shape: 'sawtooth' },
    { hertz: 156, start: 0.2, length: 0.26, shape: 'sawtooth' },
  ],
  unsure: [
    { hertz: 440, start: 0, length: 0.12, shape: 'triangle' },
    { hertz: 440, start: 0.2, length: 0.12, shape: 'triangle' },
  ],
  note: [{ hertz: 660, start: 0, length: 0.1, shape: 'sine' }],
};

const SOUND_KEY = 'counterfoil.sound';
let context: AudioContext | null = null;

export function soundOn(): boolean {
  return localStorage.getItem(SOUND_KEY) !== 'off';
}

export function setSound(on: boolean): void {
  localStorage.setItem(SOUND_KEY, on ? 'on' : 'off');
}

/** A machine without a sound device must not disturb a redemption, so every failure is silence. */
export function play(sound: Sound): void {
  if (!soundOn() || typeof AudioContext === 'undefined') return;
  try {
    context ??= new AudioContext();
    void context.resume().catch(() => undefined);
    const now = context.currentTime;
    for (const tone of TONES[sound]) {
      const oscillator = context.createOscillator();
      const gain = context.createGain();
      const from = now + tone.start;
      const loud = tone.shape === 'sawtooth' ? 0.12 : 0.2;
      oscillator.type = tone.shape;
      oscillator.frequency.value = tone.hertz;
      gain.gain.setValueAtTime(0, from);
      gain.gain.linearRampToValueAtTime(loud, from + 0.012);
      gain.gain.exponentialRampToValueAtTime(0.001, from + tone.length);
      oscillator.connect(gain).connect(context.destination);
      oscillator.start(from);
      oscillator.stop(from + tone.length + 0.02);
    }
  } catch {
    context = null;
  }
}
