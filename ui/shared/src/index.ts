export * from './format';
export * from './sound';
export * from './theme';
export * from './wedge';
