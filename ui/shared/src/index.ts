export * from './format';
export * from './sound';
export * from './theme';
export * from './forms';
export * from './listen';
export * from './recogniser';
export * from './scanner-test';
