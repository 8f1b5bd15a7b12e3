import { surviveSeeds } from "./survive.js";

surviveSeeds(0);
