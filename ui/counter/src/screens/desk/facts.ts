/** What is said about something, beside what it is. */
export interface Fact {
  label: string;
  value: string;
  /** Digits that are compared by eye. */
  code?: boolean;
}
