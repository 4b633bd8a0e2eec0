// Runs the checks of a driver, one after the other; the first that fails ends the script.
'use strict';

// Nothing here takes long; a pooler that does not answer must not hang the tests.
const PATIENCE_MS = 30_000;

async function run(title, checks) {
  console.log(title);
  for (const [name, check] of Object.entries(checks)) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error('no answer in time')), PATIENCE_MS);
    });
    try {
      await Promise.race([check(), late]);
    } catch (error) {
      console.log(`FAILED  ${name}`);
      console.error(error);
      process.exit(1);
    }
    clearTimeout(timer);
    console.log(`ok      ${name}`);
  }
}

module.exports = { run };
