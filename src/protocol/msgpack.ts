/** The library, for the few values that are not written and read here field by field. */
import { Packr } from "msgpackr";

/** Without `useToJSON: false` it would call the property `toJSON` of data that also has a property `constructor`, or no prototype. */
export const packr = new Packr({ useRecords: false, mapsAsObjects: true, useToJSON: false });
