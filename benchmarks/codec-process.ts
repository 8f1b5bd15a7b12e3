/** The process of the benchmark `codec`: measures as often as it is asked. */
import { answerParent, reportToParent } from "./child-process.js";
import { measureAll } from "./codec.js";

answerParent((question) => measureAll((question as { readonly messages: number }).messages));
reportToParent({ ready: true });
